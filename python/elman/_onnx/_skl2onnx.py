"""stub"""


def convert(model, opset, caller): ...
