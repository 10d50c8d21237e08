// Package etcd.
package etcd
