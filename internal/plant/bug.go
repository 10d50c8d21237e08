package plant

// Bug is the name of a known bug.
type Bug string

// The bugs. Those of drivers live in the simulation's model of one.
const (
	None Bug = ""

	// In the publisher's numbers.
	PerPublisherNumbers Bug = "per-publisher-numbers" // one series for all topics, which subscribers filter
	BeaconWhenAllIdle   Bug = "beacon-when-all-idle"  // a busy topic keeps the others from being beaconed
	QuotaWithoutFloor   Bug = "quota-without-floor"   // a topic that was forgotten begins at 1 again

	// In the subscriber's tracker.
	GapsAboveTwo       Bug = "gaps-above-two"      // one missing event is no gap
	EpochIsIdentity    Bug = "epoch-is-identity"   // a restart is another publisher, and the old one's end unseen
	GiveUp             Bug = "give-up"             // a resync on which the handler failed five times is dropped
	ToldOnce           Bug = "told-once"           // a resync on which the handler failed is dropped
	BeaconOvertakes    Bug = "beacon-overtakes"    // a beacon counts before the events it speaks of
	FirstBelieved      Bug = "first-believed"      // the first number on a lossy driver proves what was before
	PatienceUntold     Bug = "patience-untold"     // what waited too long is given up without telling
	CallAfterDrop      Bug = "call-after-drop"     // a topic that was dropped still reaches the handler
	SyncSkipped        Bug = "sync-skipped"        // a resync soon after another is dropped, not deferred
	LostOnce           Bug = "lost-once"           // a publisher that comes back is taken to have missed nothing
	CoveredForgotten   Bug = "covered-forgotten"   // what makes events needless is not told in the end
	DuplicateDelivered Bug = "duplicate-delivered" // a publisher that is configured twice counts twice
	WallClock          Bug = "wall-clock"          // silence is judged by a clock that people set

	// In the driver.
	ResumeInFlight    Bug = "resume-in-flight"    // a subscription that was not confirmed is taken for resumed
	ResumeOtherServer Bug = "resume-other-server" // the resume point of another publisher is used
	EmptyEpoch        Bug = "empty-epoch"         // a resume point without an epoch is accepted
	MarkOvertakes     Bug = "mark-overtakes"      // a mark speaks of events that were not sent yet
	SkipUntold        Bug = "skip-untold"         // past retention it goes on at the oldest event, untold
	HeartbeatNoData   Bug = "heartbeat-no-data"   // the heartbeat is answered though the data is stuck
	ResubscribeDrops  Bug = "resubscribe-drops"   // subscriptions past a high-water mark are dropped
	CountIgnored      Bug = "count-ignored"       // the number of messages in a mark is not looked at
	GoneUntold        Bug = "gone-untold"         // a publisher that vanished is waited for in silence
)
