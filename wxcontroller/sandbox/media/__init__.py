"""Content of messages: stored bytes, small samples, and how WeChat writes texts.

``storedcontent`` keeps the bytes on disk (start there), ``samplemedia`` has samples, ``jpeg`` draws codes and
avatars, ``webmarkup`` writes texts and names as WeChat's web client gets them.
"""
