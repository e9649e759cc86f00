"""The store of mail: folders, copies (the ledger), messages, threads, parts."""
