"""Try out all that an application needs, before anybody depends on it: settings, backends, databases, columns.

`check` asks one thing after the other and yields a `Checked` for each; what fails keeps nothing else from being asked.
What is stored to try a backend is below the folder of client uploads, where an audit finds what a killed process left.
"""
