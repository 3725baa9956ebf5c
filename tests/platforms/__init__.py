"""What a local folder is good for on every platform: these tests run on Windows and macOS as they do on Linux."""
