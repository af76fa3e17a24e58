package org.lvtmobile.core

import java.io.File
import java.io.IOException

/** How often progress is written: seldom enough to cost the inferences between nothing. */
private const val PROGRESS_NANOSECONDS = 500_000_000L

/**
 * The file that whoever asked for a benchmark waits for: the reply, and until then `<name>.progress`.
 *
 * @param folder there already.
 */
class ReplyFile(folder: File, name: String, private val nanoseconds: () -> Long = System::nanoTime) {
    private val reply = File(folder, name)
    private val part = File(folder, "$name.part")
    private val progress = File(folder, "$name.progress")
    private var told: Long? = null

    /** Writes `DONE SHARE`, at most twice a second; that it cannot be written is no reason to end. */
    fun progress(done: Int, share: Double) {
        val now = nanoseconds()
        if (told?.let { now - it < PROGRESS_NANOSECONDS } == true) return
        told = now
        try {
            progress.writeText("$done $share\n")
        } catch (_: IOException) {
            return
        }
    }

    /**
     * Writes the reply, so that whoever waits for it never sees half of it.
     *
     * @throws IOException it cannot be written.
     */
    fun write(reply: BenchReply) {
        part.writeText(reply.toJson() + "\n")
        if (!part.renameTo(this.reply)) throw IOException("cannot rename $part")
        progress.delete()
    }
}
