// Package all links every driver into a program:
//
//	import _ "github.com/wyvern-pubsub/wyvern/drivers/all"
//
// A build tag leaves one out: no_mem, no_zmq, no_nats, no_redis, no_etcd.
package all
