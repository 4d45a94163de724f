"""Texts for people: templates in the catalogs of messages, and commands in remedies.

``templates`` has texts as data, with named values: start there. ``catalog`` finds their translations in ``locale``,
``remedycommands`` writes commands of wxctl that can be pasted.
"""
