"""The versions of the account's SQLite file. Each is applied once, in this order, and never changed.

A version only adds tables, columns and indexes: an earlier version of the program can then still open the file, and
recovery copies rows from any version by name. So the media of sends are in a table that is named ``parcels``.
"""

from wxcontroller.client.store.tables import drivertables, eventtables, history, minutetables

_SENDS = """
    CREATE TABLE sends (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        place INTEGER NOT NULL,
        time REAL NOT NULL,
        tried REAL NOT NULL DEFAULT 0,
        login TEXT NOT NULL,
        target TEXT NOT NULL,
        is_group INTEGER NOT NULL,
        content TEXT NOT NULL,
        client_id TEXT NOT NULL,
        attempts_left INTEGER NOT NULL,
        origin TEXT NOT NULL,
        sides TEXT NOT NULL,
        parcel INTEGER,
        request TEXT
    );
    CREATE INDEX sends_place ON sends (place);
    CREATE INDEX sends_parcel ON sends (parcel);
    CREATE INDEX sends_request ON sends (request);
    CREATE TABLE parcels (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        given TEXT NOT NULL,
        file TEXT NOT NULL,
        facts TEXT NOT NULL DEFAULT '',
        uploaded TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE requests (
        key TEXT PRIMARY KEY,
        time REAL NOT NULL,
        fingerprint TEXT NOT NULL,
        call TEXT NOT NULL,
        target TEXT NOT NULL,
        text TEXT,
        media TEXT,
        answer TEXT,
        event INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX requests_time ON requests (time);
    ALTER TABLE events ADD COLUMN replied INTEGER NOT NULL DEFAULT 0
"""
_SENDS_2 = """
    CREATE INDEX events_media ON events (media) WHERE media != '';
    CREATE TABLE send_days (day TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""
_MEDIA = """
    CREATE TABLE media_index (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        way TEXT NOT NULL,
        key TEXT NOT NULL,
        known TEXT NOT NULL,
        UNIQUE (way, key)
    );
"""
_HOLDS = """
    ALTER TABLE sends ADD COLUMN interim INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sends ADD COLUMN hold_until REAL NOT NULL DEFAULT 0;
    ALTER TABLE sends ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sends ADD COLUMN struck REAL NOT NULL DEFAULT 0;
"""
_ROUTES = """
    ALTER TABLE sends ADD COLUMN route TEXT NOT NULL DEFAULT 'web';
"""
# The iLink API's (see ``consumers``, which is loaded with the first request for it).
_CONSUMERS = """
    CREATE TABLE consumers (
        name TEXT PRIMARY KEY,
        bot_id TEXT NOT NULL,
        options TEXT NOT NULL,
        log TEXT NOT NULL,
        position INTEGER NOT NULL,
        facts TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE peer_ids (number INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL UNIQUE, id TEXT NOT NULL);
"""
_URGENT = """
    ALTER TABLE sends ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
"""
# Parts of a message of which others were sent.
_BEGUN = """
    ALTER TABLE sends ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
"""
# The order is the order of releases: ``user_version`` of a file says how many of these it has.
SCHEMA = (
    *eventtables.SCHEMA,
    _SENDS,
    eventtables.REPLAYED,
    drivertables.SCHEMA,
    eventtables.ASIDE,
    _SENDS_2 + _MEDIA,
    _HOLDS,
    _ROUTES,
    eventtables.ACKNOWLEDGED,
    minutetables.SCHEMA,
    _CONSUMERS,
    _URGENT,
    history.SCHEMA,
    eventtables.EPOCHS,
    eventtables.DELIVERIES,
    eventtables.SINCE,
    _BEGUN,
)
