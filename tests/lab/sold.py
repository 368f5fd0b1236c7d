"""`sold.py SERVER WORKDIR LEVEL BATCHES`: flats of user01 were sold at that level of drift.

It writes the serving log, in any environment, also in the image of examples/pipelines.
"""

import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from live import City
from request_log import RequestLog

log = RequestLog(Path(sys.argv[2]) / "logs", "user01")
city = City("user01", seed="test")
for number in range(int(sys.argv[4])):
    flats, prices = city.draw(50, sys.argv[3])
    log.add(id=str(number), status="ok", instances=flats, predictions=prices)
    log.add(at=number, id=str(number), actual=prices)
