//! What is wrong with a definition.
