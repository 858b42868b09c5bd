"""What others read of the results: an RO-Crate, the audit as a tree of requirements, an article's metadata a paper."""
