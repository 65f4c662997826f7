package message

// How a document or command stands.
const (
	Rejected   = "rejected"    // nothing was touched
	RolledBack = "rolled_back" // it did not work, and what was before runs again
	// Of a configuration.
	Applying = "applying"
	Applied  = "applied"
	// Of a model.
	Receiving = "receiving"
	Checking  = "checking"
	Shadowing = "shadowing" // it decides beside the live model
	Watching  = "watching"  // it decides, and may still have to go back
	Live      = "live"
	// Of a command.
	Done   = "done"
	Failed = "failed"
)
