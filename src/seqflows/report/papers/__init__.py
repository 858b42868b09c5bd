"""The papers that the audit covers, a folder each: what is printed and said of them as data, their claims as code."""
