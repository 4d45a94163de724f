"""Page sizes: readers continue after the last entry, and other readers do not wait long for the log. Separate from
the descriptions, which an account does not load.
"""

PAGE_DELIVERIES = 1000
PAGE_EVENTS = 1000
PAGE_MESSAGES = 200
PAGE_CHATS = 200
PAGE_PEOPLE = 1000
# Ids in one request to replay or purge: a page of deliveries.
SELECTED_IDS = PAGE_DELIVERIES
