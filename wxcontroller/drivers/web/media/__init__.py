"""Content: streamed to and from WeChat's file servers, never held in memory.

``downloads`` fetches what messages carry and people's pictures, ``intake`` tells content from an error page and joins
its parts, ``uploads`` sends a file in pieces.
"""
