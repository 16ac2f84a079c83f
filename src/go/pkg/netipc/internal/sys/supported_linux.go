package sys

// Supported tells whether this platform has a transport.
const Supported = true
