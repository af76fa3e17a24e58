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
class InferenceWorkerTest {
    private val events = LinkedBlockingQueue<String>()
    private val runtime = FakeRuntime()
    private val worker = InferenceWorker(listOf(runtime), EventRecorder(), nanoseconds = { 0 })
    private val golden = File(System.getProperty("lvt.golden"))
    private val frame = Picture.golden().toFrame()

    @AfterEach
    fun close() = worker.close()

    private inner class EventRecorder : InferenceWorker.Listener {
        override fun onLoading(entry: ModelEntry) = events.put("loading ${entry.name}")

        override fun onReady(model: InferenceWorker.LoadedModel) = events.put("ready ${model.title}")

        override fun onPrediction(frame: Frame, overlay: Overlay, latency: String) =
            events.put("predicted ${frame.size} ${overlay.size == frame.size}")

        override fun onError(message: String) = events.put("failed $message")
    }

    /** Detects nothing. An inference waits until [proceed] is zero. */
    private class FakeRuntime : Runtime {
        override val name = "fake"
        override val version = "0"
        override val accelerator = "none"
        override val target = "onnx"
        val started = CountDownLatch(1)
        var proceed = CountDownLatch(0)
        var failure: Throwable? = null
        var openSessions = 0

        override fun open(artifact: Artifact, threads: Int): Session {
            openSessions++
            return object : Session {
                override fun run(image: Tensor): Map<String, Tensor> {
                    started.countDown()
                    proceed.await()
                    failure?.let { throw it }
                    val semanticArea = artifact.size.area / 16
                    return mapOf(
                        "boxes" to Tensor(listOf(1, 4), FloatArray(4)),
                        "scores" to Tensor(listOf(1), FloatArray(1)),
                        "labels" to Tensor(listOf(1), FloatArray(1)),
                        "masks" to Tensor(listOf(1, 28, 28), FloatArray(28 * 28)),
                        "semantic" to Tensor(
                            listOf(1, 10, artifact.size.height / 4, artifact.size.width / 4),
                            FloatArray(10 * semanticArea),
                        ),
                    )
                }

                override fun close() {
                    openSessions--
                }
            }
        }
    }

    private fun stubEntry() =
        ModelRepository(listOf(golden), NoBundledFiles, golden).entries().single { it.name == "stub.onnx" }

    private fun nextEvent(): String = checkNotNull(events.poll(20, TimeUnit.SECONDS)) { "no event" }

    private fun load(settings: RunSettings = RunSettings()) {
        worker.load(stubEntry(), settings)
        assertEquals("loading stub.onnx", nextEvent())
    }

    @Test
    fun `loads a model and predicts`() {
        load(RunSettings(threads = 2))
        assertEquals("ready stub.onnx\nfake 0, 2 threads", nextEvent())
        worker.submitPhoto(frame)
        assertEquals("predicted ${frame.size} true", nextEvent())
    }

    @Test
    fun `drops camera frames during an inference and queues photos`() {
        load()
        nextEvent()
        runtime.proceed = CountDownLatch(1)
        worker.submitCameraFrame(frame)
        runtime.started.await()
        repeat(5) { worker.submitCameraFrame(frame) }
        worker.submitPhoto(frame)
        runtime.proceed.countDown()
        assertEquals(listOf(true, true), List(2) { nextEvent().startsWith("predicted") })
        assertEquals(null, events.poll(200, TimeUnit.MILLISECONDS))
    }

    /** The error is reported once, not for each frame, and the memory of the model is released. */
    @Test
    fun `reports the error of a model once and closes it`() {
        for (failure in listOf(UserError("broken"), OutOfMemoryError(), UnsatisfiedLinkError("no .so"))) {
            load()
            nextEvent()
            runtime.failure = failure
            repeat(2) { worker.submitPhoto(frame) }
            assertTrue(nextEvent().startsWith("failed "))
            runtime.failure = null
            assertEquals(null, events.poll(100, TimeUnit.MILLISECONDS))
            assertEquals(0, runtime.openSessions)
        }
        load()
        assertTrue(nextEvent().startsWith("ready"), "another model can be loaded")
    }

    @Test
    fun `closes the previous model when another is loaded`() {
        repeat(2) {
            load()
            nextEvent()
        }
        assertEquals(1, runtime.openSessions)
    }

    @Test
    fun `reports a model without a runtime`() {
        InferenceWorker(emptyList(), EventRecorder()).use { worker ->
            worker.load(stubEntry(), RunSettings())
            nextEvent()
            assertTrue("no runtime" in nextEvent())
        }
    }

    /** The camera thread can deliver a frame after the activity was destroyed. */
    @Test
    fun `ignores frames after close`() {
        worker.close()
        worker.submitCameraFrame(frame)
        worker.submitPhoto(frame)
    }

    @Test
    fun `converts to NHWC for LiteRT`() {
        val image = Tensor(listOf(1, 3, 1, 2), floatArrayOf(1f, 2f, 3f, 4f, 5f, 6f))
        val nhwc = FloatBuffer.allocate(6)
        putNhwc(image, nhwc)
        assertEquals(listOf(1f, 3f, 5f, 2f, 4f, 6f), nhwc.array().toList())
    }
}
