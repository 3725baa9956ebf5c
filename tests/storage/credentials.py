"""Credentials of no store."""

SECRET = "c2VjcmV0"  # also valid base64, as an Azure key must be


S3_KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": SECRET}


S3, AZ, GS = "s3://my-bucket/", "az://my-container/", "gs://my-bucket/"
