package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// network says how the loopback was set up.
type network struct {
	Own        bool   // a network namespace of our own
	Congestion string // control of tcp
}

const (
	insideVariable   = "WYVERN_COMPARE_NETNS"
	congestionSysctl = "/proc/sys/net/ipv4/tcp_congestion_control"
)

// enterNetwork puts the process into a network namespace of its own when it runs
// as root, because the machine's default congestion control may be bbr, which
// misbehaves on a busy virtual machine, and isn't ours to change. It returns once
// inside: entering means to run the binary anew, so that every thread is there.
func enterNetwork() (network, error) {
	if os.Getenv(insideVariable) != "" {
		if err := raiseLoopback(); err != nil {
			return network{}, err
		}
		preferLossBased()
		return network{Own: true, Congestion: congestion()}, nil
	}
	if os.Geteuid() != 0 {
		return network{Congestion: congestion()}, nil
	}
	runtime.LockOSThread() // unshare is of the thread; exec keeps that thread alone
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		// A container may forbid it.
		return network{Congestion: congestion()}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return network{}, err
	}
	return network{}, unix.Exec(self, os.Args, append(os.Environ(), insideVariable+"=1"))
}

// preferLossBased sets cubic, or reno where the kernel allows only that in a
// namespace. What holds in the end is reported, whatever happens here.
func preferLossBased() {
	for _, name := range []string{"cubic", "reno"} {
		if os.WriteFile(congestionSysctl, []byte(name), 0) == nil {
			return
		}
	}
}

func congestion() string {
	b, err := os.ReadFile(congestionSysctl)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	return nil
}
