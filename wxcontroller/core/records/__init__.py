"""Records that cross processes, each defined once: writer, reader and schema come from its type.

``decoding`` decodes them and limits what they contain: start there. The others have the records of one subject, as an
account's process or another host answers them; ``texts`` has texts and failures in them.
"""
