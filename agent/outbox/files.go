package outbox

import "meltwatch/agent/outbox/disk"

// Files is the disk that an outbox is written to, Disk the real one; File and
// Entry are parts of it.
type (
	Files = disk.Files
	File  = disk.File
	Entry = disk.Entry
	Disk  = disk.Disk
)

// NewDisk returns the Files of the folder root, which need not exist yet.
func NewDisk(root string) Disk { return disk.New(root) }
