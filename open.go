package wyvern

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// The operations that open, as they stand in an Error.
const (
	opOpenPublisher  = "open publisher"
	opOpenSubscriber = "open subscriber"
	opOpenRelay      = "open relay"
)

// OpenPublisher opens the sending half of a driver. It does not wait for peers.
// ctx bounds opening only.
func OpenPublisher(ctx context.Context, o PublisherOptions) (*Publisher, error) {
	drv, name, err := choose(o.Driver, o.Alias, o.Hop, driver.Publishes)
	if err != nil {
		return nil, wrap(opOpenPublisher, name, "", err)
	}
	cfg := o.Config.WithDefaults()
	cfg.Log = chooseLog(o.Log, o.Config.Log)
	cfg.ID = cmp.Or(o.ID, o.Config.ID)
	fresh := cfg.ID == ""
	if fresh {
		cfg.ID = randomID()
	}
	cfg.Epoch = o.Epoch
	if plant.On(plant.EpochOfIdentity) {
		cfg.Epoch = uint64(crc32.ChecksumIEEE([]byte(cfg.ID)))
	}
	for cfg.Epoch == 0 {
		cfg.Epoch = randomEpoch()
	}
	cfg.Resync = resyncBody()
	cfg.Restore = nil
	var left *handover
	if o.Restore != nil {
		r := bufio.NewReader(o.Restore)
		if left, err = readHandover(r); err == nil && left.id != cfg.ID {
			err = fmt.Errorf("the hand-over is that of publisher %q", left.id)
		}
		if err != nil {
			return nil, wrap(opOpenPublisher, name, "", err)
		}
		if cfg.Epoch = left.epoch; left.retained {
			cfg.Restore = r
		}
	}
	half, err := drv.OpenPublisher(ctx, cfg)
	if err != nil {
		return nil, wrap(opOpenPublisher, name, "", err)
	}
	limit := cfg.MaxPayload
	if own := drv.Capabilities().MaxPayload; own > 0 {
		limit = min(limit, own)
	}
	p, err := newPublisher(half, name, o.Hop, drv.Capabilities(), cfg, limit, cmp.Or(o.MaxTopics, defaultTopics), fresh, left)
	return p, wrap(opOpenPublisher, name, "", err)
}

// OpenSubscriber opens the receiving half of a driver, subscribes to
// SubscriberOptions.Topics, connects, and starts to call the handler. It does
// not wait for publishers, see [Subscriber.Await]. ctx bounds opening only.
func OpenSubscriber(ctx context.Context, o SubscriberOptions) (*Subscriber, error) {
	drv, name, err := choose(o.Driver, o.Alias, o.Hop, driver.Subscribes)
	if err == nil && o.Handler == nil {
		err = errors.New("no handler")
	}
	if err != nil {
		return nil, wrap(opOpenSubscriber, name, "", err)
	}
	cfg := o.Config.WithDefaults()
	cfg.Log = chooseLog(o.Log, o.Config.Log)
	half, err := drv.OpenSubscriber(ctx, cfg)
	if err != nil {
		return nil, wrap(opOpenSubscriber, name, "", err)
	}
	s := newSubscriber(half, name, drv.Capabilities(), cfg, o.Handler)
	// Held before anything is received: a driver that doesn't filter may have
	// something already.
	for _, topic := range o.Topics {
		s.held.add(topic)
	}
	s.start()
	if s.beats {
		if err := half.Subscribe(ctx, topicBeats); err != nil {
			s.Close()
			return nil, wrap(opOpenSubscriber, name, topicBeats, err)
		}
	}
	// Topics first: a publisher is told them as part of connecting.
	if len(o.Topics) > 0 {
		err = s.Subscribe(ctx, o.Topics...)
	}
	for _, uri := range o.Connect {
		if err == nil {
			err = s.Connect(uri)
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// OpenRelay opens the receiving half of a driver, for every topic. Call
// [Relay.Run] to make it move events. ctx bounds opening only.
func OpenRelay(ctx context.Context, o RelayOptions) (*Relay, error) {
	drv, name, err := choose(o.Driver, o.Alias, o.Hop, driver.Subscribes)
	if err == nil && o.Publisher == nil {
		err = errors.New("no publisher")
	}
	if err != nil {
		return nil, wrap(opOpenRelay, name, "", err)
	}
	cfg := o.Config.WithDefaults()
	cfg.Log = chooseLog(o.Log, o.Config.Log)
	cfg.AllTopics = true
	half, err := drv.OpenSubscriber(ctx, cfg)
	if err != nil {
		return nil, wrap(opOpenRelay, name, "", err)
	}
	return newRelay(half, name, cfg, o.Publisher), nil
}

// choose returns the driver to use and its name.
func choose(drv driver.Driver, alias string, hop driver.Hop, role driver.Roles) (driver.Driver, string, error) {
	if drv == nil {
		var err error
		if drv, err = driver.Lookup(alias, hop, role); err != nil {
			return nil, "", err
		}
	}
	return drv, cmp.Or(drv.Capabilities().Name, alias), nil
}

// resyncBody is the event that makes whoever gets it compare itself with the
// database.
func resyncBody() []byte {
	var f envelope.Fields
	e := Event{Action: ActionSync}
	e.fields(&f)
	return envelope.Append(nil, &f)
}

// randomID returns an identity for a publisher that was given none, in the
// form of a UUID.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// randomEpoch returns a random number, rarely 0.
func randomEpoch() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}
