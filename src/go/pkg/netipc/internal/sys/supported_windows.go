package sys

// OwnFamily is this platform's.
const OwnFamily = FamilyWindows
