"""What came back about emails: one email's signals, statistics, exports, the feed of events."""
