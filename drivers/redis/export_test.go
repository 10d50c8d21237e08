package redis

// BucketSlot returns the slot of a cluster that a bucket's streams are in.
func BucketSlot(bucket int) int { return bucketSlots[bucket] }
