package org.lvtmobile.core

import java.io.File
import java.io.IOException

/** Minimum time between two progress updates, long enough not to affect the measured latency. */
private const val PROGRESS_INTERVAL_NANOSECONDS = 500_000_000L

/**
 * The file that the caller of a benchmark waits for. It contains the reply. While the benchmark runs,
 * `<name>.progress` contains the progress.
 *
 * @param folder an existing folder.
 */
class BenchReplyFile(folder: File, name: String, private val nanoseconds: () -> Long = System::nanoTime) {
    private val replyFile = File(folder, name)
    private val partFile = File(folder, "$name.part")
    private val progressFile = File(folder, "$name.progress")
    private var lastUpdate: Long? = null

    /** Writes `DONE SHARE`, at most twice per second. Ignores write errors: progress is optional. */
    fun writeProgress(done: Int, share: Double) {
        val now = nanoseconds()
        if (lastUpdate?.let { now - it < PROGRESS_INTERVAL_NANOSECONDS } == true) return
        lastUpdate = now
        try {
            progressFile.writeText("$done $share\n")
        } catch (_: IOException) {
            return
        }
    }

    /**
     * Writes the reply atomically: readers never see a partial file.
     *
     * @throws IOException the file cannot be written.
     */
    fun write(reply: BenchReply) {
        partFile.writeText(reply.toJson() + "\n")
        if (!partFile.renameTo(replyFile)) throw IOException("cannot rename $partFile to $replyFile")
        progressFile.delete()
    }
}
