-- How well it went for somebody: 100 when all videos completed quickly, less for failed and slow
-- ones. An aggregate returns a table of functions; accumulators are plain tables.
return {
  version = 1,
  init = function() return {videos = 0, failed = 0, slow = 0} end,
  add = function(acc, r)
    acc.videos = acc.videos + 1
    if r.status == "FAILED" then acc.failed = acc.failed + 1 end
    if r.processing_time_ms > 10000 then acc.slow = acc.slow + 1 end
    return acc
  end,
  merge = function(a, b)
    a.videos, a.failed, a.slow = a.videos + b.videos, a.failed + b.failed, a.slow + b.slow
    return a
  end,
  result = function(acc)
    if acc.videos == 0 then return null end
    return round(100 - 60 * acc.failed / acc.videos - 40 * acc.slow / acc.videos, 1)
  end,
}
