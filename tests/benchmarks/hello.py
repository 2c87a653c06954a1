"""The yardstick of every HTTP figure: Flask answering a constant."""

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def hello() -> object:
    return jsonify(hello="world")
