package message

// The status of a document or command.
const (
	Rejected   = "rejected"    // nothing was changed
	RolledBack = "rolled_back" // it failed, and the version before it runs again
	// Statuses of a configuration.
	Applying = "applying"
	Applied  = "applied"
	// Statuses of a model.
	Receiving = "receiving"
	Checking  = "checking"
	Shadowing = "shadowing" // it decides beside the live model
	Watching  = "watching"  // it decides, and may still be rolled back
	Live      = "live"
	// Statuses of a command.
	Done   = "done"
	Failed = "failed"
)
