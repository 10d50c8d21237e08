module github.com/wyvern-pubsub/wyvern/bench/compare

go 1.26.0

require (
	github.com/wyvern-pubsub/wyvern v0.0.0
	golang.org/x/sys v0.49.0
)

replace github.com/wyvern-pubsub/wyvern => ../..
