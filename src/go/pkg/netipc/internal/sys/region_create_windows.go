package sys

import "golang.org/x/sys/windows"

// CreateRegion makes the region of this name, for a server: a mapping of the page file, all of it reserved, and
// its events.
//
// The errors are ErrRegionTaken, ErrRegionTooLarge and SysError; all but the first mean that the session
// goes over the baseline.
func CreateRegion(name RegionName, sizes RegionSizes) (*RegionChannel, error) {
	l, ok := layoutFor(sizes)
	if !ok {
		return nil, ErrRegionTooLarge
	}
	attributes, err := security()
	if err != nil {
		return nil, err
	}
	// The events first: who finds the mapping finds them.
	request, err := newEvent(name.RequestEvent, attributes)
	if err != nil {
		return nil, err
	}
	response, err := newEvent(name.ResponseEvent, attributes)
	if err != nil {
		closeHandle(request)
		return nil, err
	}
	section, m, err := newSection(name.Mapping, l, attributes)
	if err != nil {
		closeHandle(request)
		closeHandle(response)
		return nil, err
	}
	m.fillIn(l, name.Profile)
	b, err := newBell(&m, section, request, response, true)
	if err != nil {
		m.unmap()
		return nil, err
	}
	return newRegionChannel(m, l, true, b), nil
}

func newEvent(name string, attributes *windows.SecurityAttributes) (windows.Handle, error) {
	if name == "" {
		return 0, nil
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, refused("create an event", err)
	}
	event, err := windows.CreateEvent(attributes, 0, 0, wide)
	return newObject(event, err, "create an event")
}

func newSection(name string, l layout, attributes *windows.SecurityAttributes) (windows.Handle, mapping, error) {
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, mapping{}, refused("create a region", err)
	}
	length := l.bytes()
	section, err := windows.CreateFileMapping(windows.InvalidHandle, attributes, windows.PAGE_READWRITE,
		uint32(length>>32), uint32(length), wide)
	if section, err = newObject(section, err, "create a region"); err != nil {
		return 0, mapping{}, err
	}
	m, err := mapSection(section)
	if err != nil {
		closeHandle(section)
		return 0, mapping{}, refused("map a region", err)
	}
	return section, m, nil
}

// newObject is a named object that must be a new one, of a call that has just made it.
func newObject(object windows.Handle, err error, operation string) (windows.Handle, error) {
	switch err {
	case nil:
		return object, nil
	case windows.ERROR_ALREADY_EXISTS:
		closeHandle(object)
		return 0, ErrRegionTaken
	case windows.ERROR_INVALID_HANDLE, windows.ERROR_ACCESS_DENIED:
		// Another kind of object, or another user's, has the name.
		return 0, ErrRegionTaken
	}
	return 0, refused(operation, err)
}
