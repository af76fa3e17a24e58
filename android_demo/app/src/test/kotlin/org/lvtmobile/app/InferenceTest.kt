package org.lvtmobile.app

import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Picture
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Tensor
import org.lvtmobile.core.UserError
import java.io.File
import java.nio.FloatBuffer
import java.util.concurrent.CountDownLatch
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit

@Timeout(30)
class InferenceTest {
    private val said = LinkedBlockingQueue<String>()
    private val runtime = FakeRuntime()
    private val inference = Inference(listOf(runtime), Recorder(), nanoseconds = { 0 })
    private val golden = File(System.getProperty("lvt.golden"))
    private val frame = Picture.golden().toFrame()

    @AfterEach
    fun close() = inference.close()

    private inner class Recorder : Inference.Listener {
        override fun loading(item: ShelfItem) = said.put("loading ${item.name}")

        override fun ready(model: Inference.Loaded) = said.put("ready ${model.title}")

        override fun answered(frame: Frame, overlay: Overlay, clock: String) =
            said.put("answered ${frame.size} ${overlay.size == frame.size}")

        override fun failed(message: String) = said.put("failed $message")
    }

    /** Finds nothing; an inference lasts until it is let [go]. */
    private class FakeRuntime : Runtime {
        override val name = "fake"
        override val version = "0"
        override val accelerator = "none"
        override val target = "onnx"
        val running = CountDownLatch(1)
        var go = CountDownLatch(0)
        var failure: Throwable? = null
        var open = 0

        override fun open(artifact: Artifact, threads: Int): Session {
            open++
            return object : Session {
                override fun run(image: Tensor): Map<String, Tensor> {
                    running.countDown()
                    go.await()
                    failure?.let { throw it }
                    val quarter = artifact.size.area / 16
                    return mapOf(
                        "boxes" to Tensor(listOf(1, 4), FloatArray(4)),
                        "scores" to Tensor(listOf(1), FloatArray(1)),
                        "labels" to Tensor(listOf(1), FloatArray(1)),
                        "masks" to Tensor(listOf(1, 28, 28), FloatArray(28 * 28)),
                        "semantic" to Tensor(
                            listOf(1, 10, artifact.size.height / 4, artifact.size.width / 4),
                            FloatArray(10 * quarter),
                        ),
                    )
                }

                override fun close() {
                    open--
                }
            }
        }
    }

    private fun items() = Shelf(listOf(golden), NothingPackaged, golden).items().filter { it.name == "stub.onnx" }

    private fun next(): String = checkNotNull(said.poll(20, TimeUnit.SECONDS)) { "nothing was said" }

    private fun load(choice: Choice = Choice()) {
        inference.load(items().single(), choice)
        assertEquals("loading stub.onnx", next())
    }

    @Test
    fun `a model is loaded and answers`() {
        load(Choice(threads = 2))
        assertEquals("ready stub.onnx\nfake 0, 2 threads", next())
        inference.show(frame)
        assertEquals("answered ${frame.size} true", next())
    }

    @Test
    fun `frames during an inference are dropped, a chosen picture waits`() {
        load()
        next()
        runtime.go = CountDownLatch(1)
        inference.offer(frame)
        runtime.running.await()
        repeat(5) { inference.offer(frame) }
        inference.show(frame)
        runtime.go.countDown()
        assertEquals(listOf(true, true), List(2) { next().startsWith("answered") })
        assertEquals(null, said.poll(200, TimeUnit.MILLISECONDS))
    }

    /** One message, not one a frame; and what was loaded gives its memory back. */
    @Test
    fun `a model that fails is said once and closed`() {
        for (failure in listOf(UserError("broken"), OutOfMemoryError(), UnsatisfiedLinkError("no .so"))) {
            load()
            next()
            runtime.failure = failure
            repeat(2) { inference.show(frame) }
            assertTrue(next().startsWith("failed "))
            runtime.failure = null
            assertEquals(null, said.poll(100, TimeUnit.MILLISECONDS))
            assertEquals(0, runtime.open)
        }
        load()
        assertTrue(next().startsWith("ready"), "and another can be loaded")
    }

    @Test
    fun `another model takes the place of the first`() {
        repeat(2) {
            load()
            next()
        }
        assertEquals(1, runtime.open)
    }

    @Test
    fun `a file no runtime takes is one line`() {
        Inference(emptyList(), Recorder()).use { without ->
            without.load(items().single(), Choice())
            next()
            assertTrue("no runtime" in next())
        }
    }

    /** The camera's thread does not know yet that the screen has gone. */
    @Test
    fun `a frame after the end is no crash`() {
        inference.close()
        inference.offer(frame)
        inference.show(frame)
    }

    @Test
    fun `channels last for LiteRT`() {
        val image = Tensor(listOf(1, 3, 1, 2), floatArrayOf(1f, 2f, 3f, 4f, 5f, 6f))
        val last = FloatBuffer.allocate(6)
        putNhwc(image, last)
        assertEquals(listOf(1f, 3f, 5f, 2f, 4f, 6f), last.array().toList())
    }
}
