// Package state keeps in a file how much of each conntrack entry is exported, so
// that a restart within the same boot and network namespace continues exactly where
// the previous run ended, even where that was killed.
//
//	header   magic, version, boot id, network namespace, began, CRC    56 B
//	batch    count, CRC of the records, CRC of both                    12 B
//	         count records, one flow.Checkpoint each                   94 B each
//	batch    ...
//
// Numbers are little endian, CRCs are CRC-32C. The file is a log: batches are
// appended, and a later record of a key overrides an earlier one. Being killed can
// tear only the last batch: that is cut off. A file with any other fault is refused
// as a whole, since an incomplete file would count bytes twice.
//
// Nothing is synced to the disk. What write(2) took survives the process, and when
// the machine goes down the kernel's connections go with it: the boot id makes the
// file worthless. This spares flash memory.
//
// Beside NAME there are NAME.lock, held as long as a process has the file open;
// NAME.tmp while a new file is written; and NAME.refused, the last file refused.
package state
