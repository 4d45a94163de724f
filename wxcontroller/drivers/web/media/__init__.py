"""Content, streamed to and from WeChat's file servers and never held in memory.

``downloads`` fetches the content of messages and people's pictures, ``intake`` distinguishes content from error
pages and joins its parts, ``uploads`` sends a file in pieces.
"""
