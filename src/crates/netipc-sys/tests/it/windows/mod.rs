//! What is about pipes and kernel objects: the promises of spec sections 8 and 9.

mod pipes;
mod regions;
