"""A send as data: its fields, its states, its order among others, and why it did not go out.

``send`` has the fields (start there), ``sendstates`` the states and the only place that changes them, ``order`` which
send goes next, ``causes`` the verdicts on sends that WeChat did not take.
"""
