//! What the glue of all services shares, once a shape.
