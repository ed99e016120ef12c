"""Hold one byte of a LOCK file as an open-file-description lock, till killed."""
import fcntl
import os
import signal
import struct
import sys

F_OFD_SETLK = 37

fd = os.open(sys.argv[1], os.O_RDWR)
lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, int(sys.argv[2]), 1, 0)
fcntl.fcntl(fd, F_OFD_SETLK, lock)
print("held", flush=True)
signal.pause()
