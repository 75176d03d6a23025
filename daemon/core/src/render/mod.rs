//! Substitution, patches and order: from parsed documents to the objects that are sent.
