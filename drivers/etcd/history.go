package etcd

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// history is how far a cluster has come, to see whether what follows is the
// same history.
type history struct {
	cluster, term uint64
	revision      int64
}

// see notes a header of what the whole cluster agreed upon. It says whether it
// is of the same cluster.
func (h *history) see(header *pb.ResponseHeader) bool {
	if !h.hear(header) {
		return false
	}
	h.term = max(h.term, header.RaftTerm)
	return true
}

// hear notes a header of a single member: its term may be of an election that
// it holds alone.
func (h *history) hear(header *pb.ResponseHeader) bool {
	if h.cluster == 0 {
		h.cluster = header.ClusterId
	}
	if header.ClusterId != h.cluster {
		return false
	}
	h.revision = max(h.revision, header.Revision)
	return true
}

// checkHistory finds out whether the cluster is the one that it was. One that
// was restored from a backup, or made anew, has other events under the same
// revisions: then everything that is held begins anew, behind a notice.
func (s *subscriber) checkHistory() error {
	s.mu.Lock()
	var one *watch
	for w := range s.heldLocked {
		one = w
		break
	}
	s.mu.Unlock()
	if one == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.life, s.conn.patience)
	defer cancel()
	header, err := s.conn.revision(ctx, one.key, one.end)
	switch {
	case is(err, rpctypes.ErrGRPCPermissionDenied):
		return nil // the watch will say so
	case err != nil:
		return &doing{"ask for the revision", err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.past; h.cluster == header.ClusterId && h.term <= header.RaftTerm && h.revision <= header.Revision || h.cluster == 0 {
		s.past.see(header)
		return nil
	}
	s.cfg.Log.Warn("etcd has another history than before: was it restored from a backup?", "revision", header.Revision, "before", s.past.revision)
	s.past = history{}
	s.past.see(header)
	s.status.Lost++
	for w := range s.heldLocked {
		w.place(header.Revision)
	}
	s.inbox.Tell(driver.Gap, "", nil)
	return nil
}

// trusts says whether a member's progress notifications overtake no event. It
// asks for its version, once.
func (s *subscriber) trusts(ctx context.Context, member uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, s.conn.patience)
	defer cancel()
	for range 2 * len(s.conn.settings.endpoints) { // the members take turns
		s.mu.Lock()
		good, known := s.sound[member]
		s.mu.Unlock()
		if known || member == 0 {
			return good
		}
		resp, err := s.conn.status.Status(ctx, &pb.StatusRequest{})
		if err != nil {
			continue
		}
		s.mu.Lock()
		s.sound[resp.Header.GetMemberId()] = sound(resp.Version)
		s.mu.Unlock()
	}
	return false
}

// sound says whether a server of this version never lets a progress
// notification overtake an event: etcd 3.4.25, 3.5.8 and what came after.
func sound(version string) bool {
	var major, minor, patch int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); n < 3 {
		return false
	}
	switch {
	case major != 3:
		return major > 3
	case minor == 4:
		return patch >= 25
	case minor == 5:
		return patch >= 8
	}
	return minor > 5
}
