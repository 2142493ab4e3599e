"""Loads a JSON array of movies as boto3's documentation shows it."""

import json
import os
import sys
from decimal import Decimal

import boto3

with open(sys.argv[1]) as file:
    movies = json.load(file, parse_float=Decimal)
table = boto3.resource("dynamodb", region_name=os.environ["AWS_REGION"]).Table(os.environ["TABLE_NAME"])
with table.batch_writer() as batch:
    for movie in movies:
        batch.put_item(Item=movie)
