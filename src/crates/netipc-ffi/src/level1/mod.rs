//! Level 1, for programs with a loop of their own: listeners, sessions, messages.
