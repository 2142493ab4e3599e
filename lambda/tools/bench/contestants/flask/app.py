"""`GET /movies/{year}/{title}` on the stack of the original: Flask and boto3, in Lambda by its Python runtime's own client."""

import os

import boto3
from apig_wsgi import make_lambda_handler
from flask import Flask, abort, current_app

app = Flask(__name__)
table = boto3.resource("dynamodb", region_name=os.environ.get("AWS_REGION", "eu-west-1")).Table(os.environ["TABLE_NAME"])


@app.get("/movies/<int:year>/<path:title>")
def get(year, title):
    item = table.get_item(Key={"year": year, "title": title}).get("Item")
    # Flask writes DynamoDB's decimals as texts; sets and bytes are in no movie.
    return current_app.json.response(item) if item else abort(404)


handler = make_lambda_handler(app)
