package org.lvtmobile.app

import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import org.lvtmobile.core.Agreement
import org.lvtmobile.core.Picture
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Tensor
import org.lvtmobile.core.UserError
import java.io.File
import java.nio.FloatBuffer
import java.util.concurrent.CountDownLatch
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit

@Timeout(30)
class InferenceWorkerTest {
    @TempDir
    private lateinit var folder: File

    private val events = LinkedBlockingQueue<String>()
    private val results = LinkedBlockingQueue<Pair<Int, Agreement?>>()
    private val runtime = FakeRuntime()
    private val gpu = FakeRuntime("fake-gpu", "gpu")
    private lateinit var worker: InferenceWorker
    private val golden = File(System.getProperty("lvt.golden"))
    private val frame = Picture.golden().toFrame()

    @BeforeEach
    fun start() {
        worker = worker(listOf(runtime, gpu))
    }

    @AfterEach
    fun close() = worker.close()

    /** A worker of a new process. */
    private fun worker(runtimes: List<Runtime>) =
        InferenceWorker(runtimes, File(folder, "launches"), EventRecorder(), nanoseconds = { 0 })

    private inner class EventRecorder : InferenceWorker.Listener {
        override fun onLoading(name: String) = events.put("loading $name")

        override fun onReady(models: List<ModelInfo>) =
            events.put("ready " + models.joinToString { "${it.runtime} ${it.fallback?.message ?: "as selected"}" })

        override fun onResult(result: FrameResult) {
            results.put(result.source to result.agreement)
            events.put("predicted ${result.overlays.map { it.size == result.frame.size }}")
        }

        override fun onError(message: Phrase) = events.put("failed $message")
    }

    private fun stub(settings: RunSettings = RunSettings()) =
        ModelRequest(ModelRepository(listOf(golden), NoBundledFiles, golden).entries().single { it.name == "stub.onnx" }, settings)

    private fun nextEvent(): String = checkNotNull(events.poll(20, TimeUnit.SECONDS)) { "no event" }

    private fun load(vararg requests: ModelRequest = arrayOf(stub()), retry: Boolean = false): String {
        worker.load(requests.toList(), retry)
        requests.forEach { _ -> assertEquals("loading stub.onnx", nextEvent()) }
        return nextEvent()
    }

    @Test
    fun `loads a model and predicts`() {
        assertEquals("ready fake as selected", load())
        worker.submitPhoto(frame, 7)
        assertEquals("predicted [true]", nextEvent())
        assertEquals(7 to null, results.take())
    }

    @Test
    fun `runs two models on the same frame and compares them`() {
        assertEquals("ready fake as selected, fake-gpu as selected", load(stub(), stub(RunSettings(runtime = "fake-gpu"))))
        worker.submitPhoto(frame, 0)
        assertEquals("predicted [true, true]", nextEvent())
        assertEquals(Agreement(1.0, 0, 0, 0), results.take().second)
    }

    @Test
    fun `drops camera frames during an inference and queues photos`() {
        load()
        runtime.proceed = CountDownLatch(1)
        worker.submitCameraFrame(frame, 0)
        runtime.started.await()
        repeat(5) { worker.submitCameraFrame(frame, 0) }
        worker.submitPhoto(frame, 1)
        runtime.proceed.countDown()
        assertEquals(listOf(true, true), List(2) { nextEvent().startsWith("predicted") })
        assertEquals(listOf(0, 1), List(2) { results.take().first })
        assertEquals(null, events.poll(200, TimeUnit.MILLISECONDS))
    }

    /** The error is reported once, not for each frame, and the memory of the model is released. */
    @Test
    fun `reports the error of a model once and closes it`() {
        val failures = mapOf(
            UserError("broken") to Phrase(R.string.message, "broken"),
            OutOfMemoryError() to Phrase(R.string.memory_short),
            UnsatisfiedLinkError("no .so") to Phrase(R.string.runtime_missing, "no .so"),
            NullPointerException("a bug") to
                Phrase(R.string.unexpected_error, "java.lang.NullPointerException: a bug"),
        )
        for ((failure, phrase) in failures) {
            load()
            runtime.failure = failure
            repeat(2) { worker.submitPhoto(frame, 0) }
            assertEquals("failed $phrase", nextEvent())
            runtime.failure = null
            assertEquals(null, events.poll(100, TimeUnit.MILLISECONDS))
            assertEquals(0, runtime.openSessions)
        }
        assertTrue(load().startsWith("ready"), "another model can be loaded")
    }

    @Test
    fun `closes the previous model when another is loaded`() {
        repeat(2) { load() }
        assertEquals(1, runtime.openSessions)
    }

    @Test
    fun `reports a model without a runtime`() {
        worker.close()
        worker = worker(emptyList())
        assertEquals("failed ${Phrase(R.string.model_without_runtime, "onnx", "stub.onnx", "")}", load())
    }

    /** The camera thread can deliver a frame after the activity was destroyed. */
    @Test
    fun `ignores frames after close`() {
        worker.close()
        worker.submitCameraFrame(frame, 0)
        worker.submitPhoto(frame, 0)
    }

    @Test
    fun `takes the CPU if an accelerator refuses the model, and does not try again`() {
        val request = stub(RunSettings(runtime = "fake-gpu"))
        gpu.openFailure = UserError("no OpenCL")
        assertEquals("ready fake no OpenCL", load(request))
        gpu.openFailure = null
        assertEquals("ready fake no OpenCL", load(request))
        assertEquals(1, gpu.attempts)
        assertEquals("ready fake-gpu as selected", load(request, retry = true))
    }

    @Test
    fun `takes the CPU if an accelerator fails on its first picture`() {
        val request = stub(RunSettings(runtime = "fake-gpu"))
        gpu.failure = UserError("out of registers")
        load(request)
        worker.submitPhoto(frame, 0)
        assertEquals(listOf("loading stub.onnx", "ready fake out of registers"), List(2) { nextEvent() })
    }

    /** A driver that crashes ends the app. The next start must not crash again. */
    @Test
    fun `takes the CPU if the last start of an accelerator ended the app`() {
        val request = stub(RunSettings(runtime = "fake-gpu"))
        load(request)
        worker.close() // before the first picture was computed
        worker = worker(listOf(runtime, gpu))
        assertEquals("ready fake ", load(request))
        assertEquals(1, gpu.attempts)
    }

    @Test
    fun `an accelerator that computed a picture is used again`() {
        val request = stub(RunSettings(runtime = "fake-gpu"))
        load(request)
        worker.submitPhoto(frame, 0)
        nextEvent()
        worker.close()
        worker = worker(listOf(runtime, gpu))
        assertEquals("ready fake-gpu as selected", load(request))
    }

    /** Some devices have no space left, and the app must not lose its protection in silence. */
    @Test
    fun `reports a journal that cannot be written`() {
        File(folder, "launches").mkdirs()
        assertTrue(load(stub(RunSettings(runtime = "fake-gpu"))).startsWith("failed Phrase(id=${R.string.storage_unusable},"))
        assertEquals(0, gpu.attempts)
    }

    @Test
    fun `converts to NHWC for LiteRT`() {
        val image = Tensor(listOf(1, 3, 1, 2), floatArrayOf(1f, 2f, 3f, 4f, 5f, 6f))
        val nhwc = FloatBuffer.allocate(6)
        putNhwc(image, nhwc)
        assertEquals(listOf(1f, 3f, 5f, 2f, 4f, 6f), nhwc.array().toList())
    }
}
