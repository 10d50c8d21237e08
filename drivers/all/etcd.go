//go:build !no_etcd

package all

import _ "github.com/wyvern-pubsub/wyvern/drivers/etcd"
