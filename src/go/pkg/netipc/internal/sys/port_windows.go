package sys

import (
	"runtime"
	"sync"

	"golang.org/x/sys/windows"
)

// The process's completion port: where the system says that an operation on a server's pipe has ended, so that
// goroutines wait for those without a thread each. One goroutine, with one thread, sleeps there, from the first
// listener of the process on; in a process that has none, there is none (docs/adr/0014).
//
// What comes from the port is a hint, and no more: who is woken by it looks at the record of its operation. So
// it does no harm when an operation that ended at once is told of as well, or one that nobody waits for any
// more.

// portUser is who has operations on a file that the port knows.
type portUser interface {
	// told: one of its operations may have ended. Called by the port's goroutine: it must not wait, but for another
	// that makes an instance of a pipe.
	told()
	// isPending: the system still uses memory of its operations.
	isPending() bool
}

// completionPort keeps its users, and with them the memory that the system works on, by number.
type completionPort struct {
	mu     sync.Mutex
	handle windows.Handle
	last   uintptr
	users  map[uintptr]portUser
	// leaving are those who are gone but for what the system still has of them.
	leaving map[uintptr]struct{}
}

var port completionPort

// add makes a file one whose operations are told of.
func (p *completionPort) add(file windows.Handle, user portUser) (uintptr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handle == 0 {
		handle, err := windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 0)
		if err != nil {
			return 0, refused("make a completion port", err)
		}
		p.handle, p.users, p.leaving = handle, map[uintptr]portUser{}, map[uintptr]struct{}{}
		go p.listen(handle)
	}
	number := p.last + 1
	if _, err := windows.CreateIoCompletionPort(file, p.handle, number, 0); err != nil {
		return 0, refused("watch a pipe", err)
	}
	p.last = number
	p.users[number] = user
	return number, nil
}

// remove is for when the file is closed: what the system still works on is kept until it has ended.
func (p *completionPort) remove(number uintptr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[number].isPending() {
		p.leaving[number] = struct{}{}
		return
	}
	delete(p.users, number)
}

// listen passes on what the system tells, for ever.
func (p *completionPort) listen(handle windows.Handle) {
	for {
		number, errno := nextCompletion(handle)
		if errno != 0 {
			// Nobody closes the port, and without it nothing would ever be heard of again.
			panic("netipc: the system does not let this process wait on its own completion port: " + errno.Error())
		}
		if user := p.find(number); user != nil {
			user.told()
			p.forget(number, user)
		}
		// Whoever was woken runs here, before this goroutine's next call blocks.
		runtime.Gosched()
	}
}

func (p *completionPort) find(number uintptr) portUser {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.users[number]
}

// forget forgets one who is gone, once the system has nothing of it any more.
func (p *completionPort) forget(number uintptr, user portUser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, isLeaving := p.leaving[number]; isLeaving && !user.isPending() {
		delete(p.leaving, number)
		delete(p.users, number)
	}
}
