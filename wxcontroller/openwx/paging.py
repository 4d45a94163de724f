"""Page sizes: readers continue after the last entry, and other readers do not wait long for the log. Separate from
the descriptions, which an account does not load.
"""

PAGE_DELIVERIES = 1000
PAGE_EVENTS = 1000
PAGE_MESSAGES = 200
PAGE_CHATS = 200
PAGE_PEOPLE = 1000
PAGE_SENDS = 5000
# Of a page's texts or reports: the controller takes no answer of more than 4 MiB (core/records/decoding.py). Escaped,
# a character has six bytes at most.
PAGE_BYTES = 2 << 20
# Ids in one request to replay or purge: a page of deliveries.
SELECTED_IDS = PAGE_DELIVERIES
