"""The account's database: one SQLite file, one writer thread; everything durable but the login lives here."""
