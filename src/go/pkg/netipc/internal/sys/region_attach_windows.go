package sys

import "golang.org/x/sys/windows"

// attachOnce is one look at what has the region's names. Those are known to the two peers alone, and opened by
// those alone whom the server's security descriptor admits.
func attachOnce(name RegionName, sizes RegionSizes, _ uint32) (*RegionChannel, error) {
	wide, err := windows.UTF16PtrFromString(name.Mapping)
	if err != nil {
		return nil, notReady("has no name")
	}
	section, errno := openMapping(windows.FILE_MAP_READ|windows.FILE_MAP_WRITE, wide)
	if section == 0 {
		return nil, notOpened("open a region", errno)
	}
	m, err := mapSection(section)
	if err != nil {
		closeHandle(section)
		return nil, refused("map a region", err)
	}
	r, err := attachTo(m, section, name, sizes)
	if err != nil {
		m.unmap()
		return nil, err
	}
	return r, nil
}

// attachTo checks what was mapped. On failure the section is closed, and the mapping is the caller's.
func attachTo(m mapping, section windows.Handle, name RegionName, sizes RegionSizes) (*RegionChannel, error) {
	l, defect := m.checkHeader(name.Profile, sizes)
	if defect != nil {
		closeHandle(section)
		return nil, defect
	}
	request, err := openEvent(name.RequestEvent)
	if err != nil {
		closeHandle(section)
		return nil, err
	}
	response, err := openEvent(name.ResponseEvent)
	if err != nil {
		closeHandle(section)
		closeHandle(request)
		return nil, err
	}
	b, err := newBell(&m, section, request, response, false)
	if err != nil {
		return nil, err
	}
	r := newRegionChannel(m, l, false, b)
	return r, r.adopt()
}

func openEvent(name string) (windows.Handle, error) {
	if name == "" {
		return 0, nil
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, notReady("has no name")
	}
	event, err := windows.OpenEvent(windows.EVENT_MODIFY_STATE|windows.SYNCHRONIZE, false, wide)
	if err != nil {
		return 0, notOpened("open an event", err)
	}
	return event, nil
}

func notOpened(operation string, err error) error {
	switch err {
	case windows.ERROR_FILE_NOT_FOUND:
		return notReady("is not there")
	case windows.ERROR_INVALID_HANDLE:
		return defective("is an object of another kind")
	case windows.ERROR_ACCESS_DENIED:
		return ErrDenied
	}
	return refused(operation, err)
}
