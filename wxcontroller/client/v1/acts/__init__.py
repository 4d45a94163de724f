"""The calls of the account's /v1 that do something: sends, typing, answers of people, tests.

``sending`` sends and recalls messages (start there), ``sendrequest`` reads the body; ``sendacts`` shows and cancels
sends. ``inputs`` takes a person's answer for the driver, ``trials`` tests webhook and proxy.
"""
